import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { MillraceError } from "../../core/errors.js";

/** Where the server's certificate and its private key are, as PEM. */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

export interface TlsContext {
  cert: Buffer;
  key: Buffer;
  minVersion: "TLSv1.2";
}

/** Reads both and tries them together. @throws TLS_FILES_INVALID */
export function readTls({ certFile, keyFile }: TlsFiles): TlsContext {
  try {
    const context = { cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: "TLSv1.2" } as const;
    createSecureContext(context);
    return context;
  } catch (error) {
    throw new MillraceError(
      "TLS_FILES_INVALID",
      `The certificate "${certFile}" and the key "${keyFile}" cannot be used: ${(error as Error).message}.`,
      {
        hint: "Both are PEM files; the first holds the certificate with its chain, the second its private key.",
        cause: error,
      },
    );
  }
}
