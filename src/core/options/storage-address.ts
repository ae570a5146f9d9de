import { MillraceError } from "../errors.js";
import { AzureBlob, GCS, Local, S3, type StorageOptions } from "./flow-storage.js";

const FORMS =
  "local, local:<folder>, s3://<bucket>/<prefix>, gs://<bucket>/<prefix> or azure://<account>/<container>/<prefix>";
/** Fields of a place that an address has room for beside its path. */
const QUERY = ["region", "endpoint"] as const;

/**
 * A storage as people write it on a command line: `local`, `local:/srv/flows`, `s3://acme-flows/prod?region=eu-west-1`,
 * `gs://acme-flows/prod`, `azure://acme/flows/prod`. An object store's `endpoint` and `region` may stand in the query.
 * @throws TASK_OPTIONS_INVALID
 */
export function parseStorageAddress(address: string): StorageOptions {
  if (address === "local") return new Local();
  if (address.startsWith("local:")) return new Local({ folder: address.slice("local:".length) });
  const url = URL.parse(address);
  if (!url || url.hostname === "" || url.username !== "" || url.hash !== "" || url.port !== "") throw unknown(address);
  const path = url.pathname
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const more = readQuery(address, url.searchParams);
  const bucket = { bucket: url.hostname, ...prefixOf(path) };
  switch (url.protocol) {
    case "s3:":
      return new S3({ ...bucket, ...more });
    case "gs:":
      return new GCS({ ...bucket, ...more });
    case "azure:": {
      const [container = "", ...rest] = path;
      return new AzureBlob({ account: url.hostname, container, ...prefixOf(rest), ...more });
    }
    default:
      throw unknown(address);
  }
}

const prefixOf = (path: readonly string[]) => (path.length === 0 ? {} : { prefix: path.join("/") });

function readQuery(address: string, query: URLSearchParams): Partial<Record<(typeof QUERY)[number], string>> {
  for (const name of query.keys()) if (!QUERY.includes(name as never)) throw unknown(address);
  return Object.fromEntries(query);
}

/** The address is not shown whole: a query may hold what somebody took for a place for a password. */
function unknown(address: string): MillraceError {
  const shown = address.replace(/:\/\/[^/]*@/, "://…@").replace(/[?#].*$/s, "…");
  return new MillraceError("TASK_OPTIONS_INVALID", `"${shown}" is not the address of a storage.`, {
    hint: `Write ${FORMS}; of a query only ${QUERY.join(" and ")} are known. Credentials come from the environment.`,
  });
}
