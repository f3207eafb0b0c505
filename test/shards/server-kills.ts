// Servers that tests kill as a power cut would, and start again where they were.

import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Session } from '../../src/database/servers/session.ts'
import { type PostgresServer, postgresPrograms } from '../tools/postgres-server.ts'

const patienceMs = 60_000

export interface KilledServers {
  /** With SIGKILL; it is started again at once. */
  kill(server: PostgresServer): Promise<void>
}

/** To be made before the servers are: what runs anew is ended before their directories go. */
export function killedServers(t: Pick<TestContext, 'after'>): KilledServers {
  const running: ChildProcess[] = []
  const end = async (): Promise<void> => {
    const alive = running.splice(0).filter(one => one.exitCode === null && one.signalCode === null)
    await Promise.all(
      alive.map(one => {
        const gone = new Promise(done => one.once('exit', done))
        one.kill('SIGINT')
        return gone
      }),
    )
  }
  let asked = false
  return {
    kill: async server => {
      if (!asked) t.after(end)
      asked = true
      const latest = running.findLast(one => one.spawnargs.at(-1) === server.directory)
      process.kill(latest?.pid ?? server.pid, 'SIGKILL')
      // Its own children notice, and leave the memory that they share.
      await sleep(300)
      const { uid, gid } = statSync(server.directory)
      const owner = process.getuid?.() === 0 ? { uid, gid } : null
      const { postgres } = await postgresPrograms(owner)
      running.push(
        spawn(postgres, ['-D', server.directory], {
          ...owner,
          cwd: '/',
          env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
          stdio: 'ignore',
        }),
      )
    },
  }
}

/** Waits until it does. */
export async function answers(session: Session): Promise<void> {
  const end = Date.now() + patienceMs
  for (;;) {
    try {
      await session.query('SELECT 1', 2_000)
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(50)
    }
  }
}
