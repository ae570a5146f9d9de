import { writeFileSync } from "node:fs";
import { join } from "node:path";

/*
 * Two self-signed certificates for localhost and 127.0.0.1 with their keys, valid for a hundred years. They are for tests alone
 * and protect nothing:
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 36500 \
 *   -subj "/CN=millrace test one" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1"
 */

export const certificates = [
  {
    name: "millrace test one",
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWN7/QSKRyF58ZdYe
xPjK5+qRY5T+kxMl/iQps/7HxMehRANCAASvpt91+GSkipW+qinAUMgoB0JkY6VJ
UkPHA5z6rlY5DnulRdYQcYNL8GojS9H8ULB+XSuApXwl9cMfdJpG+hYA
-----END PRIVATE KEY-----
`,
    cert: `-----BEGIN CERTIFICATE-----
MIIBqzCCAVGgAwIBAgIUaXUekuUU1ARZAIJGs/2EsSR8OHwwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRbWlsbHJhY2UgdGVzdCBvbmUwIBcNMjYxMTI0MDA0MjMxWhgP
MjEyNjEwMzEwMDQyMzFaMBwxGjAYBgNVBAMMEW1pbGxyYWNlIHRlc3Qgb25lMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEr6bfdfhkpIqVvqopwFDIKAdCZGOlSVJD
xwOc+q5WOQ57pUXWEHGDS/BqI0vR/FCwfl0rgKV8JfXDH3SaRvoWAKNvMG0wHQYD
VR0OBBYEFFgVul5IRIJZdi0dE4S6k0es+FLVMB8GA1UdIwQYMBaAFFgVul5IRIJZ
di0dE4S6k0es+FLVMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxo
b3N0hwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIQCjRzpjAm5hBzRWXDwL1Wq/OiKs
mqBHiEnQcF8hlQUhxgIgBhvWPHAVGHDIOiFBLTpzRZSAIxKAUcpVOGlD3E+5ssM=
-----END CERTIFICATE-----
`,
  },
  {
    name: "millrace test two",
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggl6y2OgoA6F6+3/g
7NBJIc6YDKm/AiQcBO48w6j1kNShRANCAASUr1kanwZJFT5axNniQ9KHkh0Ar4r3
Fda25v7tX/wF+P2le2sgGdECrdm9vIhfFXnNAMN+D+cI91Et51++Tq33
-----END PRIVATE KEY-----
`,
    cert: `-----BEGIN CERTIFICATE-----
MIIBqjCCAVGgAwIBAgIUd+OYfYkWgW7IN3HeukLWp7zuNNgwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRbWlsbHJhY2UgdGVzdCB0d28wIBcNMjYxMTI0MDA0MjMxWhgP
MjEyNjEwMzEwMDQyMzFaMBwxGjAYBgNVBAMMEW1pbGxyYWNlIHRlc3QgdHdvMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElK9ZGp8GSRU+WsTZ4kPSh5IdAK+K9xXW
tub+7V/8Bfj9pXtrIBnRAq3ZvbyIXxV5zQDDfg/nCPdRLedfvk6t96NvMG0wHQYD
VR0OBBYEFN0eZzHF1g3t+uqhkfmG8LH3mvy+MB8GA1UdIwQYMBaAFN0eZzHF1g3t
+uqhkfmG8LH3mvy+MA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxo
b3N0hwR/AAABMAoGCCqGSM49BAMCA0cAMEQCIGV4Qy2P16QdM7Yqj9W1cDp1rGXU
jRUiaW5qoJZN9PwnAiAvdpUl9SrmSLYFYS3+Zkz2/WCB0JMPQQ23CeD/T1vD9w==
-----END CERTIFICATE-----
`,
  },
] as const;

/** Writes one of the two, over what was there. */
export function writeCertificate(folder: string, which: 0 | 1): { certFile: string; keyFile: string } {
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(certFile, certificates[which].cert);
  writeFileSync(keyFile, certificates[which].key);
  return { certFile, keyFile };
}
