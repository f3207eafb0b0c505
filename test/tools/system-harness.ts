// For tests of whole systems on bad days: a project whose services keep a ledger of what they executed, the real command
// line, the edge's control socket, and looks at the machine for what is left. Starting and ending is project.ts.

import assert from 'node:assert/strict'
import { chmodSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { StatusView } from '../../src/system/control/views.ts'
import { connectEdge, type EdgeClient } from '../../src/system/edge-client.ts'
import { type ListeningProcess, listenersOn } from './listeners.ts'
import { type Project, project, type Up, until } from './project.ts'

export { until } from './project.ts'

const serviceFile = join(import.meta.dirname, 'ledger-service.mjs')

export type Member = StatusView['services'][number]['members'][number]

export interface Site extends Project {
  /** `command` service with the ledger; `more` is laid over it. */
  service(more?: object): object
  /** Writes the file: services and edge as given, control on any port. */
  describe(parts: { services: object; edge?: object }): void
  /** `up`, remembering its ports so that they are looked at in the end. */
  begin(...args: string[]): Promise<Up & { readonly url: string }>
  /** How often each request id was executed. */
  executions(): Map<string, number>
  member(id: string): Promise<Member>
  members(service?: string): Promise<readonly Member[]>
  /** A second supervisor's view of the edge: for `killWorker`. */
  edge(): Promise<EdgeClient>
}

export function site(t: TestContext): Site {
  const ports = new Set<number>()
  const base = project(t)
  const ledger = join(base.directory, 'ledger')
  // Services may run as another user.
  base.write('ledger', '')
  chmodSync(ledger, 0o666)
  // Runs after what `project` registered: everything has ended.
  t.after(async () => {
    for (const port of ports) {
      assert.deepEqual(listenersOf(base, port), [], `port ${port} is still held`)
    }
  })

  const made: Site = {
    ...base,
    service: (more = {}) => {
      const { env, ...rest } = more as { env?: object }
      return {
        command: [process.execPath, serviceFile],
        instances: { min: 1, max: 8 },
        health: { path: '/healthz' },
        env: { LEDGER: ledger, ...env },
        ...rest,
      }
    },
    describe: ({ services, edge }) =>
      base.configure({
        name: 'shop',
        control: { listen: 0 },
        edge: { listen: { http: '127.0.0.1:0' }, workers: 2, ...edge },
        services,
      }),
    begin: async (...args) => {
      const up = await base.up('--no-watch', ...args)
      for (const port of portsOf(up.status)) ports.add(port)
      return { ...up, url: up.status.edge.listeners[0]?.url ?? '' }
    },
    executions: () => {
      const counts = new Map<string, number>()
      for (const line of readFileSync(ledger, 'utf8').split('\n')) {
        const id = line.split(' ', 1)[0] as string
        if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1)
      }
      return counts
    },
    members: async (service = 'web') =>
      (await base.status()).services.find(entry => entry.name === service)?.members ?? [],
    member: async id => {
      const all = (await base.status()).services.flatMap(service => service.members)
      const found = all.find(member => member.id === id)
      assert.ok(found, `a member ${id}`)
      return found
    },
    edge: () =>
      connectEdge(join(base.directory, '.tenfold', 'edge.sock'), { onEvent: () => {}, onEnd: () => {} }),
  }
  return made
}

/** Processes of the site that listen on the port. */
export function listenersOf({ directory }: Project, port: number): ListeningProcess[] {
  return listenersOn(port).filter(({ origin }) => origin.includes(directory))
}

export function portsOf(status: StatusView): number[] {
  return [
    Number(new URL(status.controlUrl).port),
    ...status.edge.listeners.map(listener => listener.port),
    ...status.services
      .filter(service => service.kind === 'command')
      .flatMap(service => service.members.map(member => Number(member.address.split(':').at(-1)))),
  ]
}

/** Every member of the service is ready and the edge finds it healthy. */
export async function settled(shop: Site, count: number, service = 'web'): Promise<void> {
  await until(`${count} members of ${service} are ready`, async () => {
    const members = await shop.members(service)
    const good = members.filter(
      member =>
        member.state === 'ready' &&
        (member.traffic?.state === 'healthy' || member.traffic?.state === 'unchecked'),
    )
    return good.length === count && members.length === count
  })
}

/** The process is gone, or a zombie that nobody has reaped yet. */
export function dead(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/s, ''))
  } catch {
    return true
  }
}

/** A port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
