import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/*
 * Whoever may make hooks could otherwise have this server ask what only this server can reach: itself, its neighbours, the
 * address where a machine in a data center learns its credentials.
 */

/** https://www.iana.org/assignments/iana-ipv4-special-registry and its sister for IPv6: not reachable from everywhere. */
const special = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  special.addSubnet(net, bits, "ipv4");
for (const [net, bits] of [
  // The old form of an IPv4 address, unspecified and loopback with it.
  ["::", 96],
  // Other spellings of IPv4 addresses: translated, 6to4, Teredo.
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2001::", 23],
  ["2002::", 16],
  ["100::", 64],
  ["2001:db8::", 32],
  ["3fff::", 20],
  ["5f00::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const)
  special.addSubnet(net, bits, "ipv6");

/** Is it an address of this machine, of a private network, or one that leads nowhere? */
export function isPrivateAddress(address: string): boolean {
  return special.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Of a host as it stands in an address: can it be seen without asking DNS that it is private? */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  if (isIP(host) > 0) return isPrivateAddress(host);
  return host === "localhost" || host.endsWith(".localhost");
}

/** The connection was not made. */
export class PrivateAddressError extends Error {
  constructor() {
    super("its host is at a private address");
  }
}

/** Looks a host up for the connection itself, so that no second answer of DNS can lead elsewhere. */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, "", 0);
    const [first] = addresses;
    if (!first || addresses.some(({ address }) => isPrivateAddress(address))) {
      return callback(new PrivateAddressError(), "", 0);
    }
    if (options.all) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
