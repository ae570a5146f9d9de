import t from "tap";
import { AzureBlob, GCS, Local, S3 } from "../../src/core/options/flow-storage.js";
import { addressOf, checkPlace, keyIn } from "../../src/core/options/object-place.js";
import { task } from "../../src/core/task.js";
import { flow } from "../../src/flow.js";

t.test("an author's storage is plain data", async (t) => {
  t.same(new S3({ bucket: "flows", prefix: "/a/b/", region: "eu-west-1" }).place, {
    kind: "s3",
    bucket: "flows",
    prefix: "a/b",
    region: "eu-west-1",
  });
  t.same({ ...new GCS({ bucket: "flows" }) }, { type: "GCS", place: { kind: "gcs", bucket: "flows" } });
  t.same(new AzureBlob({ container: "flows", account: "acme" }).type, "Azure");
  t.same(new Local().place, { kind: "local" });
  t.same(new Local({ folder: "/srv" }).place, { kind: "local", folder: "/srv" });
});

t.test("a storage that cannot be is refused where it is written", async (t) => {
  const refused = (make: () => unknown, message: RegExp) =>
    t.throws(make, { code: "TASK_OPTIONS_INVALID", message }, String(message));
  refused(() => new S3({} as never), /needs a bucket/);
  refused(() => new S3({ bucket: " " }), /`bucket`/);
  refused(() => new S3({ bucket: "b", buckets: 1 } as never), /no option `buckets`/);
  refused(() => new AzureBlob({ bucket: "b" } as never), /no option `bucket`/);
  refused(() => new GCS({ bucket: "b", timeoutMs: 0 }), /`timeoutMs`/);
  refused(() => new S3({ bucket: "b", endpoint: "minio:9000" }), /no http or https address/);
  refused(() => new Local({ folder: 1 } as never), /takes a folder/);
  refused(() => checkPlace({ kind: "ftp" }), /s3, gcs or azure/);
  refused(() => checkPlace({ kind: "toString" }), /s3, gcs or azure/);
  const add = task("add", (a: number) => a);
  refused(() => flow("f", { storage: "s3://flows" as never }, () => add(1)), /new Local\(\), S3\(\)/);
});

t.test("no place holds credentials, and a message does not repeat them", async (t) => {
  const refused = (make: () => unknown) => {
    try {
      make();
      t.fail("it was taken");
    } catch (error) {
      t.equal((error as { code: string }).code, "TASK_OPTIONS_INVALID");
      t.notMatch(String((error as Error).message), /hunter2/);
    }
  };
  refused(() => new S3({ bucket: "b", secretAccessKey: "hunter2" } as never));
  refused(() => new S3({ bucket: "b", endpoint: "http://ada:hunter2@minio:9000" }));
  refused(() => new AzureBlob({ container: "b", endpoint: "https://acme.blob.core.windows.net?sig=hunter2" }));
});

t.test("people are shown where objects lie", async (t) => {
  t.equal(addressOf({ kind: "s3", bucket: "b", prefix: "p" }), "s3://b/p");
  t.equal(addressOf({ kind: "gcs", bucket: "b" }), "gs://b");
  t.equal(addressOf({ kind: "azure", container: "c", endpoint: "http://host" }), "azure://c at http://host");
  t.equal(keyIn({ kind: "gcs", bucket: "b", prefix: "p" }, "k"), "p/k");
});
