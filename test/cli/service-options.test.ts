import { Command } from "commander";
import t from "tap";
import { addServiceFlags, type ServiceFlags, servicesOf } from "../../src/cli/service-options.js";

const read = (...words: string[]) => {
  const command = addServiceFlags(new Command("start"))
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return servicesOf(command.parse(words, { from: "user" }).opts<ServiceFlags>());
};

t.test("what is not said of the services is left to them", async (t) => {
  t.strictSame(read(), {});
});

t.test("days, seconds and minutes are thresholds of retention, late runs and heartbeats", async (t) => {
  t.strictSame(read("--keep-runs", "30", "--late-after", "60", "--silent-after", "5"), {
    retention: { runsDays: 30 },
    late: { afterMs: 60_000 },
    heartbeats: { silentAfterMs: 300_000 },
  });
});

t.test("a threshold that is no whole number of at least one is refused", async (t) => {
  for (const flag of ["--keep-runs", "--late-after", "--silent-after"]) {
    for (const wrong of ["0", "-1", "1.5", "soon"]) {
      t.throws(() => read(flag, wrong), { message: new RegExp(`${flag} is a whole number from 1 `) });
    }
  }
});
