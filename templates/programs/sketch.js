// A circle for each face, which grows with its smile.
const ADDRESS = "ws://localhost:8765"; // python main.py --out ws:

let faces = [];

function listen() {
  const socket = new WebSocket(ADDRESS);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "frame") faces = message.faces;
  };
  socket.onclose = () => setTimeout(listen, 1000);
}

function setup() {
  createCanvas(640, 360);
  noStroke();
  textAlign(CENTER);
  textSize(24);
  listen();
}

function draw() {
  background(24);
  faces.forEach((face, i) => {
    const x = (width * (i + 1)) / (faces.length + 1);
    fill(240, 180, 42);
    circle(x, height / 2, 20 + 200 * face.probabilities.happy);
    fill(255);
    text(face.label, x, height - 24);
  });
}
