// A thread that copies a server: takes a base backup and unpacks it into a folder. It writes synchronously, so that a
// fast server waits for the disk and the supervisor's own thread waits for neither. Started by `copy.ts`.

import { TarUnpacker } from '../../io/tar-unpack.ts'
import { threadContext } from '../../io/threads.ts'
import { takeBaseBackup } from './base-backup.ts'
import type { CopyMessage, CopyRequest } from './copy.ts'

const { data: request, port } = threadContext<CopyRequest>()
const tell = (message: CopyMessage): void => port.postMessage(message)
const unpacker = new TarUnpacker(request)
let archives = 0

const taker = {
  archive: (name: string, tablespace: string): void => {
    archives++
    if (archives > 1 || tablespace !== '')
      throw new Error(
        `the server has a tablespace (${tablespace || name}); servers of one machine can't share it, so it can't be copied`,
      )
  },
  data: (bytes: Buffer): void => unpacker.push(bytes),
  progress: (done: number, total: number): void => tell({ kind: 'progress', done, total }),
}

try {
  const result = await takeBaseBackup(
    request.target,
    { label: request.label, rateMax: 0, withLog: true },
    taker,
  )
  unpacker.end()
  tell({ kind: 'done', result })
} catch (error) {
  unpacker.close()
  const { message, code } = error as { message: string; code?: unknown }
  tell({ kind: 'failed', message, code: typeof code === 'string' ? code : '' })
}
