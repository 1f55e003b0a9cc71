// Where a replay is: the video's clock where there is a video, else one of its own.

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export class Player {
  /** video: an element, null without one. changed: called with the time after each change, and while it plays. */
  constructor(video, changed) {
    this.video = video;
    this.changed = changed;
    this.length = 0;
    this.speed = 1;
    this.playing = false;
    this.t = 0;
    this.tick = this.tick.bind(this);
  }

  setLength(length) {
    this.length = length;
    this.seek(this.t);
  }

  setSpeed(speed) {
    this.speed = speed;
    if (this.video) this.video.playbackRate = speed;
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.t >= this.length) this.seek(0);
    this.playing = true;
    this.last = performance.now();
    this.#startVideo();
    this.#nextTick();
    return this.changed();
  }

  pause() {
    this.playing = false;
    this.video?.pause();
    this.changed();
  }

  seek(t) {
    this.t = Math.max(0, Math.min(this.length, t));
    if (this.video) this.video.currentTime = Math.min(this.t, this.video.duration || this.t);
    if (this.playing) this.#startVideo();
    this.changed();
  }

  /** The video may be shorter than the session: then the clock goes on without it. */
  #startVideo() {
    if (this.video && !(this.t >= this.video.duration)) this.video.play().catch(() => {});
  }

  #nextTick() {
    cancelAnimationFrame(this.request); // of before a short pause
    this.request = requestAnimationFrame(this.tick);
  }

  tick(now) {
    if (!this.playing) return;
    const { video } = this;
    if (video && !video.ended && !video.error && video.readyState > 0) this.t = Math.min(this.length, video.currentTime);
    else {
      const passedMs = Math.max(0, now - this.last); // the first frame may have begun before play was pressed
      this.t = Math.min(this.length, this.t + (this.speed * passedMs) / 1000);
    }
    this.last = now;
    if (this.t >= this.length) this.pause();
    else {
      this.changed();
      this.#nextTick();
    }
  }
}
