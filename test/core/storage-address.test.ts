import t from "tap";
import { parseStorageAddress } from "../../src/core/options/storage-address.js";

t.test("a storage's address says the kind, the place in it, and how to reach it", async (t) => {
  const cases: Record<string, unknown> = {
    local: { type: "Local", place: { kind: "local" } },
    "local:/srv/flows": { type: "Local", place: { kind: "local", folder: "/srv/flows" } },
    "s3://acme-flows": { type: "S3", place: { kind: "s3", bucket: "acme-flows" } },
    "s3://acme-flows/prod/eu/?region=eu-west-1": {
      type: "S3",
      place: { kind: "s3", bucket: "acme-flows", prefix: "prod/eu", region: "eu-west-1" },
    },
    "s3://flows?endpoint=http://127.0.0.1:9000": {
      type: "S3",
      place: { kind: "s3", bucket: "flows", endpoint: "http://127.0.0.1:9000" },
    },
    "gs://acme-flows/a%20b": { type: "GCS", place: { kind: "gcs", bucket: "acme-flows", prefix: "a b" } },
    "azure://acme/flows/prod": {
      type: "Azure",
      place: { kind: "azure", account: "acme", container: "flows", prefix: "prod" },
    },
  };
  for (const [address, storage] of Object.entries(cases)) {
    const { type, place } = parseStorageAddress(address);
    t.strictSame({ type, place: { ...place } }, storage, address);
  }
});

t.test("what is no address of a storage is refused, and no password in it is repeated", async (t) => {
  const wrong = [
    "",
    "s3",
    "s3://",
    "ftp://a/b",
    "s3://key:hunter2@bucket",
    "s3://b?secret=hunter2",
    "s3://b#hunter2",
    "local:",
    "azure://acme",
    "s3://b?endpoint=nowhere",
  ];
  for (const address of wrong) {
    try {
      parseStorageAddress(address);
      t.fail(address);
    } catch (error) {
      t.match(error, { code: "TASK_OPTIONS_INVALID" }, address);
      t.notMatch(`${error} ${(error as { hint?: string }).hint}`, /hunter2/, "no password");
    }
  }
});
