/** Environment variables that flow code sees unless told otherwise: where things are, language and time, no secrets. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"],
  ...["NODE_ENV", "MILLRACE_HOME", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT", "COMSPEC"],
]);

/** May flow code see the environment variable of that name without being given it? The same at deploy and on an agent. */
export function isHarmless(name: string): boolean {
  return HARMLESS.has(name.toUpperCase()) || name.startsWith("LC_");
}
