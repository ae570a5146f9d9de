import t from "tap";
import { encodeFrame, type Frame, FrameReader } from "../../src/codec/frames.js";

const limits = { maxBytes: 1_000, maxPassedOver: 5_000 };

function read(reader: FrameReader, chunks: readonly Buffer[]): Frame[] {
  const frames: Frame[] = [];
  for (const chunk of chunks) reader.push(chunk, (frame) => frames.push(frame));
  return frames;
}

t.test("frames come out as they went in, wherever the stream is cut", async (t) => {
  const bodies = ["", "{}", "ä€😀", "x".repeat(1_000), '{"a":1}'];
  const bytes = Buffer.concat(bodies.map((body, index) => encodeFrame(2 ** 32 - 1 - index, index * 100, body)));
  const expected = bodies.map((body, index) => ({
    id: 2 ** 32 - 1 - index,
    status: index * 100,
    length: Buffer.byteLength(body),
    body,
  }));
  for (const size of [1, 2, 7, 10, 11, 64, bytes.length]) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    const reader = new FrameReader(limits);
    t.same(read(reader, chunks), expected, `in pieces of ${size}`);
    t.notOk(reader.halfway);
  }
});

t.test("a body that is too long is passed over, and the frame behind it is read", async (t) => {
  for (const size of [1, 999, 10_000]) {
    const bytes = Buffer.concat([encodeFrame(1, 0, "y".repeat(1_001)), encodeFrame(2, 0, "after")]);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    const frames = read(new FrameReader(limits), chunks);
    t.same(frames, [
      { id: 1, status: 0, length: 1_001, body: undefined },
      { id: 2, status: 0, length: 5, body: "after" },
    ]);
  }
});

t.test("a frame that announces far more is refused by its head alone", async (t) => {
  const reader = new FrameReader(limits);
  t.throws(() => reader.push(encodeFrame(1, 0, "z".repeat(5_001)).subarray(0, 10), () => {}), {
    message: "a frame of 5001 bytes was announced, and 5000 is the most that is read",
  });
});

t.test("a frame that has begun is halfway until its last byte", async (t) => {
  const reader = new FrameReader(limits);
  const bytes = encodeFrame(7, 0, "body");
  for (let at = 0; at < bytes.length - 1; at += 1) {
    t.same(read(reader, [bytes.subarray(at, at + 1)]), []);
    t.ok(reader.halfway);
  }
  t.equal(read(reader, [bytes.subarray(-1)]).length, 1);
  t.notOk(reader.halfway);
});
