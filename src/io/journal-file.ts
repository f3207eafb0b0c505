// A journal that one process owns: lines are appended before what they say counts, and read back by the next process.
// What was appended survives the death of this process, and a loss of power but for the last second. Who opens it takes it
// over: the former owner learns of it at its next look. Calls wait for the kernel, not for the disk.

import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

const syncEveryMs = 1_000
const newline = 10

export class JournalFile {
  readonly #path: string
  #file = -1
  #inode = 0
  #dirty = false
  #timer: NodeJS.Timeout | null = null

  private constructor(path: string) {
    this.#path = path
  }

  /**
   * Takes it over: hands `read` every whole line (what a former owner was writing as it died is left out), and begins anew
   * with the lines that it gives back. Its folder is made, for this user alone.
   */
  static takeOver(path: string, read: (lines: string[]) => Iterable<string>): JournalFile {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const taken = `${path}.taken`
    // After this nothing that a former owner appends is believed, and it can see that.
    if (existsSync(path)) renameSync(path, taken)
    const journal = new JournalFile(path)
    journal.#begin(read(existsSync(taken) ? wholeLines(readFileSync(taken)) : []))
    rmSync(taken, { force: true })
    return journal
  }

  /** False: another process has taken it over; what was appended meanwhile may be lost, and must not be told anybody. */
  get owned(): boolean {
    return this.#file >= 0 && statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode
  }

  /** Bytes in it. */
  get bytes(): number {
    return this.#file < 0 ? 0 : fstatSync(this.#file).size
  }

  /** @param text whole lines. Throws what the system says (a full disk): then nothing of it counts. */
  append(text: string): void {
    writeAll(this.#file, text)
    this.#dirty = true
    this.#timer ??= setInterval(() => this.#sync(), syncEveryMs).unref()
  }

  /** Begins anew with these lines: whole or not at all. */
  replace(lines: Iterable<string>): void {
    if (this.owned) this.#begin(lines)
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
  }

  #begin(lines: Iterable<string>): void {
    const next = `${this.#path}.next`
    rmSync(next, { force: true })
    const file = openSync(next, 'ax', 0o600)
    let text = ''
    for (const line of lines) {
      text += `${line}\n`
      if (text.length < 65_536) continue
      writeAll(file, text)
      text = ''
    }
    writeAll(file, text)
    fsyncSync(file)
    renameSync(next, this.#path)
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = file
    this.#inode = fstatSync(file).ino
  }

  #sync(): void {
    if (!this.#dirty || this.#file < 0) return
    this.#dirty = false
    // A file that was closed or replaced meanwhile was synced then, or belongs to somebody else.
    fdatasync(this.#file, () => {})
  }
}

function wholeLines(bytes: Buffer): string[] {
  const end = bytes.lastIndexOf(newline)
  return end < 0 ? [] : bytes.toString('utf8', 0, end).split('\n')
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8')
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}
