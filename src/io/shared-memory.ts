// System V shared memory that a killed program left behind. Linux only: elsewhere nothing is looked at or removed.

import { textOf } from './owned-files.ts'
import { runChild } from './run-child.ts'

/** Removes the piece with this id, if that process made it and nobody is attached to it. Never rejects: it is a courtesy. */
export async function removeSharedMemory(id: number, maker: number): Promise<void> {
  if (!isLeft(textOf('/proc/sysvipc/shm') ?? '', id, maker)) return
  await runChild({
    command: 'ipcrm',
    args: ['-m', String(id)],
    directory: '/',
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    timeoutMs: 5_000,
    outputBytesMax: 1_024,
    channelBytesMax: 1,
  }).catch(() => {})
}

/** Columns: key shmid perms size cpid lpid nattch ... */
function isLeft(table: string, id: number, maker: number): boolean {
  return table.split('\n').some(line => {
    const fields = line.trim().split(/\s+/).map(Number)
    return fields[1] === id && fields[4] === maker && fields[6] === 0
  })
}
