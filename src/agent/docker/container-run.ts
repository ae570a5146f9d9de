import type Docker from "dockerode";
import type { ClaimedRun, Lease } from "../../client/cloud.js";
import { sleepUnlessAborted } from "../../client/retry.js";
import { isMillraceError, MillraceError } from "../../core/errors.js";
import { awayWaitMs } from "../back-off.js";
import type { ActiveRun } from "../run-executor.js";
import { type BeginPorts, beginContainer, type StartedContainer } from "./begin-container.js";
import { followLines, lastLines } from "./container-logs.js";
import { isDaemonAway, statusOf, textOf } from "./daemon.js";
import { type ContainerEnd, endOf, endRunOf, whyEnded } from "./end-container.js";

/** How often a container is looked at while it is waited for; a look takes some 2 ms of the daemon's time. */
const LOOK_MS = 2_000;

export interface ContainerPorts extends BeginPorts {
  /** How long a container may take to end after SIGTERM. */
  stopGraceMs: number;
  /** Told when the daemon did not answer. */
  onAway(): void;
}

/** One run in a container, from its claim or from where it was found. */
export class ContainerRun implements ActiveRun {
  readonly flowRunId: string;
  readonly ended: Promise<void>;
  readonly #lease: Lease;
  readonly #name: string;
  readonly #ports: ContainerPorts;
  /** Leaves the container alone; before there is one, gives the run back. */
  readonly #leave = new AbortController();
  #started: StartedContainer | undefined;
  #isAway = false;
  #isCancelled = false;
  #isStopping = false;

  constructor(
    run: Lease & { name: string },
    begin: (signal: AbortSignal) => Promise<StartedContainer>,
    ports: ContainerPorts,
  ) {
    this.flowRunId = run.flowRunId;
    this.#lease = { flowRunId: run.flowRunId, fence: run.fence };
    this.#name = run.name;
    this.#ports = ports;
    this.ended = this.#run(begin).catch((error: Error) => {
      ports.log(`Flow run "${run.name}" could not be ended: ${error.message}`);
    });
  }

  /** Not renewed while the daemon is away: the container, if it lives, does so itself. */
  get lease(): Lease | null {
    return this.#isAway ? null : this.#lease;
  }

  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    if (this.#started) void this.#stopContainer(this.#started.container);
    else this.#leave.abort(new MillraceError("RUN_CANCELLED", `Flow run "${this.#name}" was cancelled.`));
  }

  stop(code: "RUN_LEASE_LOST" | "RUN_STOPPED"): void {
    if (code === "RUN_LEASE_LOST" && this.#started) return void this.#stopContainer(this.#started.container);
    this.#leave.abort(new MillraceError(code, `The agent of flow run "${this.#name}" was asked to stop.`));
  }

  /** The container hears of slots itself. */
  grant(): void {}

  async #run(begin: (signal: AbortSignal) => Promise<StartedContainer>): Promise<void> {
    const { log } = this.#ports;
    const { signal } = this.#leave;
    try {
      this.#started = await begin(signal);
    } catch (error) {
      return this.#notBegun(error);
    }
    const { container, keyId } = this.#started;
    log(`Flow run "${this.#name}" is in container ${container.id.slice(0, 12)}.`);
    if (this.#ports.options.showLogs)
      void followLines(this.#ports.docker, container, (line) => log(`${this.#name}: ${line}`), signal);
    const end = await this.#watch(container);
    if (!end) return log(`Flow run "${this.#name}" goes on in its container without this agent.`);
    const why = this.#isCancelled ? "cancelled" : whyEnded(this.#name, end);
    const became = await endRunOf(this.#lease, why, this.#ports, end.lastLines, signal);
    const how = end.exit ? `exit code ${end.exit.code}` : "it is gone";
    if (became === "was over") log(`The container of flow run "${this.#name}" has ended (${how}).`);
    else log(`Flow run "${this.#name}" was ended here: ${why === "cancelled" ? "cancelled" : why.message}`);
    await this.#tidy(container, keyId, end.exit !== null);
  }

  async #notBegun(error: unknown): Promise<void> {
    const { cloud, agentId, log, onAway } = this.#ports;
    if (isMillraceError(error, "DOCKER_UNREACHABLE")) onAway();
    if (isMillraceError(error, "RUN_LEASE_LOST")) return log(`Flow run "${this.#name}" was taken over.`);
    if (isMillraceError(error, "RUN_STOPPED")) {
      log(`Flow run "${this.#name}" is given back.`);
      await cloud.releaseRuns(agentId, [this.#lease]);
      return;
    }
    const failure = isMillraceError(error)
      ? error
      : new MillraceError("CONTAINER_NOT_STARTED", `The container could not be started: ${textOf(error)}`, {
          cause: error,
        });
    log(`Flow run "${this.#name}" did not begin: ${failure.code}: ${failure.message}`);
    // Not the signal of a run that was cancelled: its end is still to be told.
    const patience = this.#isCancelled ? new AbortController().signal : this.#leave.signal;
    await endRunOf(this.#lease, this.#isCancelled ? "cancelled" : failure, this.#ports, [], patience);
  }

  /** Until the container has ended; undefined when it is to be left alone. */
  async #watch(container: Docker.Container): Promise<ContainerEnd | undefined> {
    const { docker, log, onAway } = this.#ports;
    const { signal } = this.#leave;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const info = await container.inspect();
        if (this.#isAway) log(`The Docker daemon is back; flow run "${this.#name}" is watched again.`);
        this.#isAway = false;
        failures = 0;
        if (!info.State.Running) return endOf(info, await lastLines(docker, container));
        await this.#untilEnded(container);
      } catch (error) {
        if (signal.aborted) return undefined;
        if (statusOf(error) === 404) return { exit: null, lastLines: [] };
        if (!this.#isAway) {
          this.#isAway = true;
          if (isDaemonAway(error)) onAway();
          log(`The Docker daemon is away, flow run "${this.#name}" is not watched: ${textOf(error)}`);
        }
        await sleepUnlessAborted(awayWaitMs(failures++), signal);
      }
    }
    return undefined;
  }

  /**
   * The daemon answers a wait at once in part, and when it dies then, its client never hears the rest. So there is a look now
   * and then beside it.
   */
  async #untilEnded(container: Docker.Container): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#leave.signal, over.signal]);
    const look = async () => {
      for (let isRunning = true; isRunning; ) {
        await sleepUnlessAborted(LOOK_MS, signal);
        signal.throwIfAborted();
        isRunning = (await container.inspect()).State.Running;
      }
    };
    try {
      await Promise.race([container.wait({ abortSignal: signal }), look()]);
    } finally {
      over.abort();
    }
  }

  async #stopContainer(container: Docker.Container): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    try {
      await container.stop({ t: Math.ceil(this.#ports.stopGraceMs / 1_000) });
    } catch (error) {
      // 304: it had ended; 404: it is gone. Otherwise the container hears of it from the Cloud, and ends by itself.
      if (![304, 404].includes(statusOf(error) ?? 0))
        this.#ports.log(`The container of flow run "${this.#name}" could not be stopped: ${textOf(error)}`);
      this.#isStopping = false;
    }
  }

  async #tidy(container: Docker.Container, keyId: string | null, isThere: boolean): Promise<void> {
    const { cloud, options, log } = this.#ports;
    if (keyId !== null)
      await cloud
        .deleteApiKey(keyId)
        .catch((error: Error) => log(`A container's token was not revoked: ${error.message}`));
    if (!isThere || (options.keepContainers ?? false)) return;
    await container.remove({ force: true, v: true }).catch((error: unknown) => {
      if (statusOf(error) !== 404) log(`The container of flow run "${this.#name}" was not removed: ${textOf(error)}`);
    });
  }
}

export function startContainerRun(run: ClaimedRun, claimId: string, ports: ContainerPorts): ContainerRun {
  return new ContainerRun(run, (signal) => beginContainer(run, claimId, ports, signal), ports);
}
