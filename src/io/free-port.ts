// A port that is free right now. Nothing holds it until its user binds it, so whoever asks must check afterwards who
// listens there.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Random } from '../kit/random.ts'

const firstPort = 20_000
const triesMax = 64

/**
 * Prefers ports below the range from which the kernel serves outgoing connections: one of those could take the port
 * between now and its use. `taken`: ports that were given away and may not be bound yet.
 */
export async function freePort(host: string, random: Random, taken: ReadonlySet<number>): Promise<number> {
  const end = outgoingRangeStart()
  for (let tries = 0; tries < triesMax && end - firstPort >= 1000; tries++) {
    const port = firstPort + random.below(end - firstPort)
    if (!taken.has(port) && (await bound(host, port)) === port) return port
  }
  for (let tries = 0; tries < triesMax; tries++) {
    const port = await bound(host, 0)
    if (port !== null && !taken.has(port)) return port
  }
  throw new Error(`no free port on ${host}: ${triesMax} tries found every one taken`)
}

function outgoingRangeStart(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s/)[0])
  } catch {
    // The range that IANA keeps for this, used by macOS and the BSDs (RFC 6335 section 6).
    return 49_152
  }
}

/** Binds for a moment; the port that was bound, or null. */
function bound(host: string, port: number): Promise<number | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : null))
    })
  })
}
