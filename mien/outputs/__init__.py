"""Live outputs: what is found in each frame, sent to other programs. `mien.outputs.kinds` lists their kinds."""
