import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import t from "tap";
import { useEnvironment } from "../helpers/environment.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { temporaryHome } from "../helpers/home.js";
import { objectSuite } from "../suites/objects.js";
import { storageSuite } from "../suites/storage.js";
import { CEPH_KEY, CEPH_PACKAGES, cephIsInstalled, startCeph } from "./ceph.js";

// The same suites as test/storage/s3.test.ts, against a server that others wrote.
if (await cephIsInstalled()) {
  await temporaryHome(t);
  const server = await startCeph();
  t.teardown(() => server.close());
  const proxy = await startFaultProxy(server.port);
  t.teardown(() => proxy.close());
  useEnvironment(t, {
    AWS_ACCESS_KEY_ID: CEPH_KEY.accessKey,
    AWS_SECRET_ACCESS_KEY: CEPH_KEY.secret,
    AWS_EC2_METADATA_DISABLED: "true",
  });
  const client = new S3Client({ endpoint: server.url, region: "us-east-1", forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: "flows" }));
  client.destroy();

  const place = (url = server.url) => ({ kind: "s3", bucket: "flows", endpoint: url }) as const;
  objectSuite(t, "S3 by Ceph", {
    place,
    proxy,
    credentials(which) {
      process.env.AWS_SECRET_ACCESS_KEY = which === "right" ? CEPH_KEY.secret : "wrong";
    },
    elsewhere: () => ({ ...place(), bucket: "no-such-place" }),
  });
  storageSuite(t, { type: "S3", place: { ...place(), prefix: "saved" } });
} else {
  t.test("S3 by Ceph", { skip: `not installed: apt-get install --no-install-recommends ${CEPH_PACKAGES}` }, () => {});
}
