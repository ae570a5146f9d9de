import t from "tap";
import { results } from "../../src/core/options/results.js";
import { task } from "../../src/core/task.js";

t.test("a choice of place is plain data", async (t) => {
  t.same(results.local(), { kind: "local", serializer: "v8", place: {} });
  t.same(results.local({ folder: "/data", location: "{flowName}", serializer: "json" }), {
    kind: "local",
    serializer: "json",
    location: "{flowName}",
    place: { folder: "/data" },
  });
  t.same(results.inline(), { kind: "inline", serializer: "json", place: {} });
  t.same(results.s3({ bucket: "b", prefix: "p", endpoint: "http://127.0.0.1:9000", region: "eu-west-1" }).place, {
    bucket: "b",
    prefix: "p",
    endpoint: "http://127.0.0.1:9000",
    region: "eu-west-1",
  });
  t.same(results.gcs({ bucket: "b" }), { kind: "gcs", serializer: "v8", place: { bucket: "b" } });
  t.same(results.azure({ container: "c", account: "a" }).place, { container: "c", account: "a" });
});

const wrong: [string, () => unknown, RegExp][] = [
  ["no bucket", () => results.s3({} as never), /needs a bucket/],
  ["no container", () => results.azure({ bucket: "b" } as never), /no option `bucket`/],
  ["no options at all", () => results.gcs(undefined as never), /as an object/],
  ["an empty bucket", () => results.s3({ bucket: " " }), /`bucket` cannot be/],
  [
    "a key in the flow's code",
    () => results.s3({ bucket: "b", secretAccessKey: "hidden" } as never),
    /secretAccessKey/,
  ],
  ["a password in the address", () => results.s3({ bucket: "b", endpoint: "https://u:hidden@host" }), /"host" carries/],
  ["a signature in the address", () => results.azure({ container: "c", endpoint: "https://h/?sig=hidden" }), /carries/],
  ["an address that is none", () => results.gcs({ bucket: "b", endpoint: "ftp://x" }), /no http or https/],
  ["an option of nobody's", () => results.local({ path: "/x" } as never), /no option `path`/],
  ["another serializer", () => results.local({ serializer: "pickle" as never }), /"pickle"/],
  ["a time that is none", () => results.s3({ bucket: "b", timeoutMs: 0 }), /`timeoutMs` cannot be 0/],
];
for (const [name, make, message] of wrong) {
  t.test(`a place that cannot be is refused where it is written: ${name}`, async (t) => {
    t.throws(make, { code: "TASK_OPTIONS_INVALID", message });
    t.throws(make, { message: /^(?!.*hidden)/ }, "a secret is not shown again");
  });
}

t.test("a location with an unknown name is refused where it is written", async (t) => {
  t.throws(() => results.local({ location: "{flow}/x" }), { code: "RESULT_LOCATION_INVALID" });
  t.throws(() => task("load", { target: "{flow}/x" }, () => 1), { code: "RESULT_LOCATION_INVALID" });
  t.throws(() => task("load", { taskRunName: "{inputs}" }, () => 1), { code: "RESULT_LOCATION_INVALID" });
});
