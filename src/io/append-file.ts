// A file that lines are appended to. Creates its folder; never truncates, never reads.

import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface FileHandle {
  append(text: string): Promise<void>
  close(): Promise<void>
}

export async function openAppend(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  const file = await open(path, 'a', 0o640)
  return {
    append: async text => {
      await file.appendFile(text, 'utf8')
    },
    close: () => file.close(),
  }
}
