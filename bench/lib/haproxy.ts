// HAProxy with one thread in front of the origin: the configuration, as far as it is always the same, and how it is started.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { versionOf } from './machine.ts'
import { type Peer, started } from './peers.ts'
import { freePort, start } from './processes.ts'

export interface HaproxySetting {
  readonly global?: readonly string[]
  /** Beside the time-outs for connecting and of the client. */
  readonly defaults: readonly string[]
  /** What the listener has beside its address. */
  readonly bind: string
}

/** Keep-alive on both sides, the client's address added. */
export const haproxyHttp: readonly string[] = [
  'mode http',
  'option forwardfor',
  'http-reuse always',
  'timeout server 60s',
  'timeout http-keep-alive 600s',
]

function configuration(
  { global = [], defaults, bind }: HaproxySetting,
  port: number,
  origin: number,
): string {
  const lines = (list: readonly string[]): string => list.map(line => `  ${line}\n`).join('')
  return `global
  nbthread 1
  no strict-limits
  maxconn 12000
${lines(global)}defaults
  timeout connect 5s
  timeout client 600s
${lines(defaults)}frontend front
  bind 127.0.0.1:${port} ${bind}
  default_backend origin
backend origin
  server one 127.0.0.1:${origin}
`
}

export function haproxy(setting: HaproxySetting): Peer {
  return {
    name: 'haproxy',
    version: () => versionOf('haproxy', ['-v']),
    start: async ({ folder, core, originPort }) => {
      const port = await freePort()
      const file = join(folder, 'haproxy.cfg')
      writeFileSync(file, configuration(setting, port, originPort))
      return started(start('haproxy', ['haproxy', '-db', '-f', file], { core }), port)
    },
  }
}
