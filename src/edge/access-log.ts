// The access log of one worker: a JSON line a request, collected and appended in blocks. Loses lines rather than hold up
// requests or grow: when the disk does not keep up, what exceeds the bound is counted and said in a later line.

import { type FileHandle, openAppend } from '../io/append-file.ts'

const blockBytes = 65_536
const waitingBytesMax = 4 << 20

export class AccessLog {
  readonly #path: string
  #file: FileHandle | null = null
  #waiting = ''
  #writing = false
  #lost = 0
  #broken = false
  readonly #tell: (sentence: string) => void
  readonly #name: string

  /** `tell`: said once when the file can't be written, and once when it can again. */
  constructor(path: string, tell: (sentence: string) => void, name = 'access log') {
    this.#path = path
    this.#tell = tell
    this.#name = name
  }

  /** `line` ends in a line feed. */
  add(line: string): void {
    if (this.#waiting.length + line.length > waitingBytesMax) {
      this.#lost++
      return
    }
    this.#waiting += line
    if (this.#waiting.length >= blockBytes && !this.#writing) void this.flush()
  }

  /** Appends what has gathered; call it now and then. */
  async flush(): Promise<void> {
    if (this.#writing || this.#waiting === '') return
    this.#writing = true
    let block = this.#waiting
    const lost = this.#lost
    this.#waiting = ''
    if (lost > 0) {
      block += `${JSON.stringify({ level: 'warn', lostLines: lost })}\n`
      this.#lost = 0
    }
    try {
      this.#file ??= await openAppend(this.#path)
      await this.#file.append(block)
      this.#works(lost)
    } catch (cause) {
      // The line that says what was lost is none of them.
      this.#lost += block.split('\n').length - 1 + (lost > 0 ? lost - 1 : 0)
      await this.#close()
      this.#fails(cause as Error)
    }
    this.#writing = false
  }

  #fails(cause: Error): void {
    if (this.#broken) return
    this.#broken = true
    this.#tell(
      `the ${this.#name} cannot be written, its lines are lost meanwhile: ${cause.message} (${this.#path})`,
    )
  }

  #works(lost: number): void {
    if (!this.#broken) return
    this.#broken = false
    this.#tell(`the ${this.#name} is written again after ${lost} lost lines (${this.#path})`)
  }

  /** The file was rotated: go on in a new one of the same name. */
  async reopen(): Promise<void> {
    await this.flush()
    await this.#close()
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close().catch(() => {})
  }
}
