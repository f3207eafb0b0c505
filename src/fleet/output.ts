// The output of instances: where it is, its last lines, following it, and keeping it bounded. One file a member,
// `logs/SERVICE/MEMBER.log` in the state directory, written by the instances themselves.

import { join } from 'node:path'
import { LogFollower, type LogLimits, lastLines, rotateIfLarge } from '../io/log-file.ts'
import type { FleetLog, OutputLine, OutputQuery } from './contract.ts'

export interface OutputFile {
  readonly service: string
  readonly member: string
  /** Where the output of its newest life begins. */
  readonly from: number
  readonly limits: LogLimits
}

interface Listener {
  readonly query: OutputQuery
  readonly onLine: (line: OutputLine) => void
}

export class Output {
  readonly #folder: string
  readonly #log: FleetLog
  readonly #files: () => OutputFile[]
  readonly #listeners = new Set<Listener>()
  readonly #followers = new Map<string, LogFollower>()
  readonly #rotating = new Set<string>()

  constructor(stateDirectory: string, log: FleetLog, files: () => OutputFile[]) {
    this.#folder = join(stateDirectory, 'logs')
    this.#log = log
    this.#files = files
  }

  path(service: string, member: string): string {
    return join(this.#folder, service, `${member}.log`)
  }

  last(query: OutputQuery, lines: number): OutputLine[] {
    const files = this.#files().filter(file => matches(query, file))
    return files.flatMap(({ service, member }) =>
      lastLines(this.path(service, member), lines).map(text => ({ service, member, text })),
    )
  }

  follow(query: OutputQuery, onLine: (line: OutputLine) => void): () => void {
    const listener = { query, onLine }
    // The first listener begins at the end of what is there; files that come later are read from their newest life on.
    if (this.#listeners.size === 0) for (const file of this.#files()) this.#follower(file, undefined)
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#followers.clear()
    }
  }

  /** A few times a second. */
  poll(): void {
    if (this.#listeners.size === 0) return
    for (const file of this.#files()) this.#follower(file, file.from).poll()
  }

  /** About once a second: whatever has grown past its limit is rotated. */
  rotate(): void {
    for (const file of this.#files()) void this.#rotateOne(file)
  }

  async #rotateOne({ service, member, limits }: OutputFile): Promise<void> {
    const path = this.path(service, member)
    if (this.#rotating.has(path)) return
    this.#rotating.add(path)
    try {
      await rotateIfLarge(path, limits, this.#followers.get(path))
    } catch (error) {
      const sentence = `${path} could not be rotated and grows on: ${(error as Error).message}`
      this.#log.warn({ service, member }, sentence)
    } finally {
      this.#rotating.delete(path)
    }
  }

  #follower({ service, member }: OutputFile, from: number | undefined): LogFollower {
    const path = this.path(service, member)
    const known = this.#followers.get(path)
    if (known) return known
    const follower = new LogFollower(path, text => this.#tell({ service, member, text }), from)
    this.#followers.set(path, follower)
    return follower
  }

  #tell(line: OutputLine): void {
    for (const listener of this.#listeners) if (matches(listener.query, line)) listener.onLine(line)
  }
}

function matches(query: OutputQuery, one: { readonly service: string; readonly member: string }): boolean {
  return (
    (query.service === undefined || query.service === one.service) &&
    (query.member === undefined || query.member === one.member)
  )
}
