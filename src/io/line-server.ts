// JSON lines over a Unix socket, from the side that listens (line-socket.ts is the other). A socket file that nobody
// listens on any more is replaced; one that somebody answers on is left alone. Owner access only.

import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { framed, type LineSocket } from './line-socket.ts'

export interface LineServerUser {
  /** A value from one of the connected; answer on `peer`. */
  onValue(peer: LineSocket, value: unknown): void
}

export interface LineServer {
  /** To all who are connected. */
  broadcast(value: unknown): void
  close(): void
}

/** More at once are turned away: supervisor and a few curious commands are all there ever are. */
const peersMax = 32

/** Rejects with EADDRINUSE when somebody listens there. */
export async function listenLines(path: string, user: LineServerUser): Promise<LineServer> {
  if (await answers(path)) throw Object.assign(new Error(`${path} is in use`), { code: 'EADDRINUSE' })
  rmSync(path, { force: true })
  const peers = new Set<LineSocket>()
  const server = createServer(socket => {
    if (peers.size >= peersMax) {
      socket.destroy()
      return
    }
    const peer = framed(socket, {
      onValue: value => user.onValue(peer, value),
      onEnd: () => peers.delete(peer),
    })
    peers.add(peer)
  })
  await listening(server, path)
  chmodSync(path, 0o600)
  return {
    broadcast: value => {
      for (const peer of peers) peer.send(value)
    },
    close: () => {
      server.close()
      for (const peer of peers) peer.close()
      rmSync(path, { force: true })
    },
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path }, () => resolve())
  })
}
