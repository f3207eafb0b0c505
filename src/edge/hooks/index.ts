// The hooks of one worker of the edge: a host for each module and content that its snapshots name, gates and steps for
// routes. A module that changed has another hash and so another host; the old one's thread ends when nobody calls it.

import type { WorkerContext } from '../context.ts'
import type { Gate } from '../gate.ts'
import type { ResponseStep } from '../response-sink.ts'
import type { EdgeSnapshot, HooksSpec, RouteSpec } from '../snapshot.ts'
import { HookHost } from './host.ts'
import { HookGate } from './request-gate.ts'
import { HookStep } from './response-step.ts'

const keyOf = ({ module, hash }: HooksSpec): string => `${hash} ${module}`

export class Hooks {
  readonly #worker: WorkerContext
  readonly #hosts = new Map<string, HookHost>()

  constructor(worker: WorkerContext) {
    this.#worker = worker
  }

  /** What the next snapshot uses: those modules are loaded, threads of others end. */
  keep(snapshot: EdgeSnapshot): void {
    const used = new Set(snapshot.routes.flatMap(({ hooks }) => (hooks === undefined ? [] : [keyOf(hooks)])))
    for (const [key, host] of this.#hosts) {
      host.rest(!used.has(key))
      if (!used.has(key)) this.#hosts.delete(key)
    }
  }

  gates({ hooks }: RouteSpec): Gate[] {
    if (hooks?.onRequest === undefined) return []
    return [new HookGate(this.#host(hooks, hooks.onRequest), hooks, hooks.onRequest)]
  }

  /** `inner`: what else stands between the answer and the client, behind the hook. */
  step({ hooks }: RouteSpec, inner: ResponseStep | null): ResponseStep | null {
    if (hooks?.onResponse === undefined) return inner
    return new HookStep(this.#host(hooks, hooks.onResponse), hooks, hooks.onResponse, inner)
  }

  #host(spec: HooksSpec, hook: string): HookHost {
    const key = keyOf(spec)
    let host = this.#hosts.get(key)
    if (host === undefined) this.#hosts.set(key, (host = new HookHost(this.#worker, spec.module)))
    host.wants(hook)
    return host
  }
}
