// Copies a running server into an empty folder, in a thread of its own; tells how far it is. A copy that stands still is
// given up. Ends with the process: then the server sees its connection end, and what was copied is recognised as partial.

import type { Owner } from '../../io/owned-files.ts'
import { startThread } from '../../io/threads.ts'
import type { BackupResult } from './base-backup.ts'
import type { SessionTarget } from './session.ts'

export interface CopyRequest {
  readonly target: SessionTarget
  readonly label: string
  readonly directory: string
  readonly owner: Owner | null
}

export type CopyMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'done'; readonly result: BackupResult }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string }

/** The server's checkpoint comes before the first byte, and may take long on a slow disk. */
const stillTimeoutMs = 300_000

export function copyServer(
  request: CopyRequest,
  progress: (done: number, total: number) => void,
): Promise<BackupResult> {
  const thread = startThread(import.meta.url, 'copy-thread', request)
  return new Promise<BackupResult>((resolve, reject) => {
    let timer = setTimeout(() => {}, 0)
    const watch = (): void => {
      clearTimeout(timer)
      timer = setTimeout(
        () => reject(new Error(`nothing came for ${stillTimeoutMs / 1000} s`)),
        stillTimeoutMs,
      )
    }
    watch()
    thread.on('message', (message: CopyMessage) => {
      watch()
      if (message.kind === 'progress') progress(message.done, message.total)
      else if (message.kind === 'done') resolve(message.result)
      else reject(Object.assign(new Error(message.message), { code: message.code }))
    })
    thread.on('error', reject)
    thread.on('exit', () => reject(new Error('the thread that copied ended')))
    thread.on('exit', () => clearTimeout(timer))
  }).finally(() => void thread.terminate())
}
