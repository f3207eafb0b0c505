// Members and routes on their way to the edge: the fleet's front port. Owns the snapshot's version and what it is
// compiled from (system, members). Several changes that come while one push is under way go out together in the next.

import type { CertificateSpec, EdgeSnapshot } from '../edge/snapshot.ts'
import type { CheckedSystem } from '../file/index.ts'
import type { FleetMember, FrontPort } from '../fleet/index.ts'
import type { GuardRuling, GuardSpec } from '../guard/part.ts'
import { type CompileContext, compileEdge, type EdgeSwitches } from './compile-edge.ts'
import type { EdgeFiles } from './edge-files.ts'
import type { EdgeProcess } from './edge-process.ts'

export interface PublisherOptions {
  readonly edge: Pick<EdgeProcess, 'apply' | 'memberIdle' | 'current'>
  readonly stickySecret: string
  readonly identitySecret: string
  readonly stateDirectory: string
  readonly baseDirectory: string
  /** Before each push: what its snapshot will name is there afterwards. */
  readonly prepare?: (system: CheckedSystem) => Promise<void>
  /** Asked at each compile. Absent: none. */
  readonly ownCertificates?: (system: CheckedSystem) => readonly CertificateSpec[]
  /** Asked at each compile. Absent: nothing is switched on. */
  readonly switches?: () => EdgeSwitches
  /** Bans and allowances by command; asked at each compile. Absent: none. */
  readonly rulings?: () => readonly GuardRuling[]
}

/** What is published beside the fleet's members. */
export interface Published {
  readonly system: CheckedSystem
  readonly files: EdgeFiles
  readonly guard: GuardSpec | null
}

export interface Publisher extends FrontPort {
  /** The snapshot as it would be pushed now; each call has a higher version. */
  compile(): EdgeSnapshot
  /** Routes by another system from now on. Without effect when the edge refuses. */
  replace(to: Published): Promise<void>
  /** Pushes again: what it asks for at each compile has changed. */
  refresh(): Promise<void>
  /** Begins with the members that an edge which was taken back serves, until the fleet publishes its own. */
  seed(snapshot: EdgeSnapshot): void
}

interface Push {
  readonly done: Promise<void>
  resolve(): void
  reject(cause: unknown): void
}

class EdgePublisher implements Publisher {
  readonly #options: PublisherOptions
  readonly #members = new Map<string, readonly FleetMember[]>()
  #published: Published
  #version = 0
  #next: Push | null = null
  #pushing = false

  constructor(first: Published, options: PublisherOptions) {
    this.#published = first
    this.#options = options
  }

  publish(service: string, members: readonly FleetMember[]): Promise<void> {
    this.#members.set(service, members)
    return this.#push()
  }

  async idle(service: string, member: string, epoch: string, timeoutMs: number): Promise<boolean> {
    return this.#options.edge.memberIdle({ upstream: service, member, epoch, timeoutMs })
  }

  refresh(): Promise<void> {
    return this.#push()
  }

  async replace(to: Published): Promise<void> {
    const before = this.#published
    this.#published = to
    try {
      await this.#push()
    } catch (cause) {
      if (this.#published === to) this.#published = before
      throw cause
    }
  }

  compile(): EdgeSnapshot {
    const { edge, stickySecret, identitySecret, stateDirectory, baseDirectory } = this.#options
    const { system, files, guard } = this.#published
    // A supervisor that was there before us has counted too.
    this.#version = Math.max(this.#version, edge.current?.version ?? 0) + 1
    const context: CompileContext = {
      version: this.#version,
      members: this.#members,
      stickySecret,
      identitySecret,
      stateDirectory,
      baseDirectory,
      files,
      ownCertificates: this.#options.ownCertificates?.(system) ?? [],
      switches: this.#options.switches?.() ?? {},
      guard,
      rulings: this.#options.rulings?.() ?? [],
    }
    return compileEdge(system, context)
  }

  seed(snapshot: EdgeSnapshot): void {
    for (const { name, members } of snapshot.upstreams) this.#members.set(name, members)
  }

  #push(): Promise<void> {
    this.#next ??= pushed()
    const { done } = this.#next
    void this.#work()
    return done
  }

  async #work(): Promise<void> {
    if (this.#pushing) return
    this.#pushing = true
    while (this.#next !== null) {
      const push = this.#next
      this.#next = null
      try {
        if (this.#options.prepare !== undefined) await this.#options.prepare(this.#published.system)
        await this.#options.edge.apply(this.compile())
        push.resolve()
      } catch (cause) {
        push.reject(cause)
      }
    }
    this.#pushing = false
  }
}

function pushed(): Push {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { done: promise, resolve, reject }
}

export function createPublisher(first: Published, options: PublisherOptions): Publisher {
  return new EdgePublisher(first, options)
}
