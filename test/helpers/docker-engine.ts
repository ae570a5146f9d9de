import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Docker from "dockerode";
import { eventually } from "./eventually.js";
import { repositoryFolder } from "./source-tree.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A Docker daemon of the test's own, on a socket of its own. */
export interface DockerEngine {
  readonly docker: Docker;
  /** As the option `host`. */
  readonly host: string;
  /** Ends the daemon by a signal, and resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

/** Why no daemon can be started here; false: one can. */
export function whyNoDocker(): string | false {
  if (process.platform !== "linux") return "not on Linux";
  if (process.getuid?.() !== 0) return "dockerd needs root";
  return spawnSync("dockerd", ["--version"]).status === 0 ? false : "not installed: apt-get install docker.io";
}

export async function startDocker(t: Teardown): Promise<DockerEngine> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-docker-"));
  const socket = join(folder, "docker.sock");
  const docker = new Docker({ socketPath: socket });
  let daemon: ChildProcess | undefined;
  const engine: DockerEngine = {
    docker,
    host: `unix://${socket}`,
    async start() {
      daemon = spawn(
        "dockerd",
        [
          ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec"), "-p", join(folder, "pid")],
          // Without rules of its own in the machine's tables: containers of the tests use the host's network.
          ...["-H", `unix://${socket}`, "--iptables=false", "--bridge=none", "--live-restore"],
        ],
        { stdio: "ignore" },
      );
      await eventually(() => docker.ping(), { timeoutMs: 30_000, everyMs: 50, message: "dockerd to answer" });
    },
    async stop(signal = "SIGTERM") {
      const stopped = daemon;
      if (!stopped || stopped.exitCode !== null || stopped.signalCode !== null) return;
      const ended = new Promise((resolve) => stopped.once("exit", resolve));
      stopped.kill(signal);
      await ended;
    },
  };
  t.teardown(async () => {
    const containers = await docker.listContainers({ all: true }).catch(() => []);
    await Promise.all(
      containers.map(({ Id }) =>
        docker
          .getContainer(Id)
          .remove({ force: true })
          .catch(() => {}),
      ),
    );
    await engine.stop();
    // The daemon leaves mounts behind when it keeps containers alive.
    const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
    const left = mounts.map((line) => line.split(" ")[1] ?? "").filter((path) => path.startsWith(`${folder}/`));
    if (left.length > 0) spawnSync("umount", ["-l", ...left.reverse()]);
    await rm(folder, { recursive: true, force: true });
  });
  await engine.start();
  return engine;
}

/** The command of the image below: it has no shell and no `env`. */
export const IMAGE_COMMAND = ["/usr/bin/node", "/opt/millrace/bin/millrace.cjs"];

/** An image of this very Node, the libraries that it is linked with, and this build of Millrace; no registry is asked. */
export async function importMillraceImage({ docker }: DockerEngine, name: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-image-"));
  try {
    for (const path of ["tmp", "root", "run", "etc", "usr/bin"]) mkdirSync(join(folder, path), { recursive: true });
    const node = realpathSync(process.execPath);
    cpSync(node, join(folder, "usr/bin/node"));
    for (const [library] of execFileSync("ldd", [node], { encoding: "utf8" }).matchAll(/\/[^ ]+\.so[^ ]*/g)) {
      mkdirSync(join(folder, dirname(library)), { recursive: true });
      cpSync(realpathSync(library), join(folder, library));
    }
    const home = join(folder, "opt/millrace");
    for (const part of ["package.json", "bin", "dist/src", "dist/workers"])
      cpSync(join(repositoryFolder, part), join(home, part), { recursive: true });
    copyPackages(join(home, "node_modules"));
    const tar = spawn("tar", ["-C", folder, "-cf", "-", "."], { stdio: ["ignore", "pipe", "inherit"] });
    const [repo, tag] = name.split(":");
    const answer = await docker.importImage(tar.stdout, { repo, tag });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(answer, (error) => (error ? reject(error) : resolve())),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a user's `npm install` brings: the dependencies, and theirs. */
function copyPackages(to: string): void {
  const seen = new Set<string>();
  const copy = (from: string) => {
    const manifest = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
    const wanted = { ...manifest.dependencies, ...manifest.optionalDependencies };
    for (const name of Object.keys(wanted)) {
      const place = [from, ...parents(from)].map((each) => join(each, "node_modules", name)).find(existsSync);
      if (place === undefined) continue;
      const target = realpathSync(place);
      const below = target.split("/node_modules/").slice(1).join("/node_modules/");
      if (seen.has(below)) continue;
      seen.add(below);
      cpSync(target, join(to, below), { recursive: true });
      copy(target);
    }
  };
  copy(repositoryFolder);
}

function parents(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [] : [parent, ...parents(parent)];
}
