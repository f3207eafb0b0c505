// Ports of the router's listeners (and of what caches of services listen to) whose file says "any free one": chosen once, and kept in STATE/router/ports.json, so that
// a DATABASE_URL holds over restarts.

import { join } from 'node:path'
import { type CheckedSystem, hasFeedListeners } from '../file/index.ts'
import { freePort } from '../io/free-port.ts'
import { portTrouble } from '../io/port-check.ts'
import { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'
import { readJsonOrNull } from './role-process.ts'

export type DatabasePorts = Readonly<Record<string, number>>

/** Its port is kept among them under this name, which no database can have. */
export const feedPort = '(feed)'

/** What listens on a port of its own choice. */
function listenersOf(system: CheckedSystem): { name: string; host: string }[] {
  const databases = Object.values(system.databases).filter(one => one.listen.port === 0)
  return [
    ...databases.map(({ name, listen }) => ({ name, host: listen.host })),
    ...(hasFeedListeners(system) ? [{ name: feedPort, host: '127.0.0.1' }] : []),
  ]
}

/** Are the ports that the file names free? Throws SYSTEM_PORT_TAKEN. Asked while no router of ours listens. */
export async function checkDatabasePorts(system: CheckedSystem): Promise<void> {
  for (const { name, listen } of Object.values(system.databases)) {
    const trouble = await portTrouble(listen.host, listen.port)
    if (trouble === null) continue
    throw new Failure(
      systemFailures.portTaken,
      `The database router cannot listen for '${name}': ${listen.host}:${listen.port} ${trouble.reason}.`,
      {
        details: {
          remedy: `End what holds the port, or change databases.${name}.listen; 0 means any free port.`,
        },
      },
    )
  }
}

export interface DatabasePortKeeper {
  readonly ports: DatabasePorts
  /** Every database of the system has one afterwards. */
  choose(system: CheckedSystem): Promise<void>
  /** Others for those that somebody else holds by now. Only while no router of ours listens. */
  replaceTaken(system: CheckedSystem): Promise<void>
}

export function openDatabasePorts(stateDirectory: string, random: Random): DatabasePortKeeper {
  const file = join(stateDirectory, 'router', 'ports.json')
  let ports: DatabasePorts = readJsonOrNull<DatabasePorts>(file) ?? {}

  async function choose(system: CheckedSystem): Promise<void> {
    const missing = listenersOf(system).filter(one => ports[one.name] === undefined)
    for (const { name, host } of missing) {
      const taken = new Set([...Object.values(ports), ...portsOf(system)])
      ports = { ...ports, [name]: await freePort(host, random, taken) }
    }
    if (missing.length > 0) writePrivate(file, `${JSON.stringify(ports)}\n`)
  }

  return {
    get ports() {
      return ports
    },
    choose,
    replaceTaken: async system => {
      for (const { name, host } of listenersOf(system)) {
        const port = ports[name]
        if (port === undefined || (await portTrouble(host, port)) === null) continue
        const { [name]: _, ...others } = ports
        ports = others
      }
      await choose(system)
    },
  }
}

/** What the file itself names. */
function portsOf(system: CheckedSystem): number[] {
  const { control, edge, databases } = system
  const listens = [control, ...edge.listeners, ...Object.values(databases).map(one => one.listen)]
  return listens.map(one => one.port).filter(port => port !== 0)
}
