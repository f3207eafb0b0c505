// Can this process listen on a port right now, and if not, why? It binds for a moment and lets go, so the answer may be
// out of date by the time it is used.

import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { processes } from './process-table.ts'

export interface PortTrouble {
  /** `taken`: somebody listens there; `forbidden`: needs privileges; `no-address`: not an address of this machine. */
  readonly kind: 'taken' | 'forbidden' | 'no-address' | 'other'
  /** In words, with who holds it where that can be seen. */
  readonly reason: string
}

/** Null when it can. @param port 0 can always be listened on. */
export function portTrouble(host: string, port: number): Promise<PortTrouble | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', error => resolve(troubleOf(error as NodeJS.ErrnoException, port)))
    // Without reusePort: a port that others share in that way counts as taken.
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** The same for UDP. */
export function udpPortTrouble(host: string, port: number): Promise<PortTrouble | null> {
  return new Promise(resolve => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.once('error', error => {
      socket.close()
      resolve(troubleOf(error as NodeJS.ErrnoException, port))
    })
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(null)))
  })
}

function troubleOf(error: NodeJS.ErrnoException, port: number): PortTrouble {
  switch (error.code) {
    case 'EADDRINUSE': {
      const holder = processes.listeners(port, new Set()).other
      return { kind: 'taken', reason: `is taken by ${holder ?? 'another program'}` }
    }
    case 'EACCES':
    case 'EPERM':
      return { kind: 'forbidden', reason: 'needs privileges that this user does not have' }
    case 'EADDRNOTAVAIL':
      return { kind: 'no-address', reason: 'has an address that this machine does not have' }
    default:
      return { kind: 'other', reason: `cannot be listened on (${error.code ?? error.message})` }
  }
}
