// Can several threads of this machine listen on one port (SO_REUSEPORT with balancing)? Tried, not guessed.

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

export async function reusePortWorks(): Promise<boolean> {
  const first = createServer()
  const second = createServer()
  try {
    await listen(first, 0)
    await listen(second, (first.address() as { port: number }).port)
    return true
  } catch {
    return false
  } finally {
    for (const server of [first, second]) if (server.listening) server.close()
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port, reusePort: true }, resolve)
  })
}

const migrateFile = '/proc/sys/net/ipv4/tcp_migrate_req'

/**
 * When a listener closes, the system resets what waits to be accepted on it, unless `tcp_migrate_req` (Linux 5.14) lets
 * another listener on the same port have it. True: that is so, or was made so (in this network namespace, as root).
 */
export function keepWaitingConnections(): boolean {
  try {
    if (readFileSync(migrateFile, 'utf8').trim() === '1') return true
    writeFileSync(migrateFile, '1')
    return true
  } catch {
    return false
  }
}
