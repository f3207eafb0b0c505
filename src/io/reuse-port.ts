// Can several threads of this machine listen on one port (SO_REUSEPORT with balancing)? Tried, not guessed.

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
