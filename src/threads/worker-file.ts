/** Where the compiled entry of a worker thread lies, for instance `workerFile("flow-run")`. */
export function workerFile(name: string): URL {
  return new URL(`../../workers/${name}.js`, import.meta.url);
}
