const BLOCK = 512;

/**
 * A tar archive of one folder that everybody may write, so that any user of an image may delete the one file in it.
 * (POSIX ustar; Docker's API takes files into a container in no other form.)
 */
export function tarOf(folder: string, name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
  return Buffer.concat([
    header(`${folder}/`, 0, 0o777, "5"),
    header(`${folder}/${name}`, content.length, 0o444, "0"),
    content,
    padding,
    Buffer.alloc(2 * BLOCK),
  ]);
}

function header(path: string, size: number, mode: number, type: "0" | "5"): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(path, 0, "latin1");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.floor(Date.now() / 1000), 136, 12);
  block.write("        ", 148, "latin1");
  block.write(type, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
