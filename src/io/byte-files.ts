// Files whose bytes matter, as byte strings (one character a byte), and what is in a folder. Read whole, off the way of
// requests.

import { readdir, readFile, stat } from 'node:fs/promises'

/** Throws what the system says, or when it is larger than `bytesMax`. */
export async function readByteText(path: string, bytesMax: number): Promise<string> {
  const { size } = await stat(path)
  if (size > bytesMax) throw new Error(`${path} is larger than ${bytesMax} bytes`)
  return (await readFile(path)).latin1Slice()
}

/** Names of the files in a folder, sorted; null: it is a file. Throws what the system says. */
export async function fileNamesIn(path: string): Promise<readonly string[] | null> {
  if (!(await stat(path)).isDirectory()) return null
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .filter(entry => !entry.isDirectory())
    .map(entry => entry.name)
    .sort()
}

/** Changes when a file's content may have changed. Throws what the system says. */
export async function fileMark(path: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(path)
  return `${path}:${size}:${mtimeMs}:${ino}`
}
