// What a worker of the edge and its hook thread say to each other. The thread runs the user's code: what it says is
// judged anew on this side (`reply.ts`), whatever its types promise.

import type { LoadedSource } from '../../io/user-modules.ts'

export interface HookThreadStart {
  /** Absolute path of the user's module. */
  readonly module: string
  /** One number: the id of the call that was begun last. */
  readonly progress: SharedArrayBuffer
  /** What an earlier thread of the same snapshot loaded: this one runs the same, whatever the files hold by now. */
  readonly sources: readonly LoadedSource[]
}

/** Name, value, name, value, ...: names in lower case. */
export type FlatFields = readonly string[]

export interface RequestParts {
  readonly method: string
  readonly url: string
  readonly host: string
  readonly fields: FlatFields
  readonly clientAddress: string
  readonly id: string
}

export type ToHookThread =
  | {
      readonly id: number
      /** Which export. */
      readonly name: string
      readonly request: RequestParts
      /** Null: it is a request's hook. */
      readonly response: { readonly status: number; readonly fields: FlatFields } | null
    }
  /** Asks whether the loop turns. */
  | 'ping'

export type FromHookThread =
  | { readonly ready: readonly string[]; readonly sources: readonly LoadedSource[] }
  | { readonly broken: string }
  | 'pong'
  | { readonly id: number; readonly error: string }
  | { readonly id: number; readonly reply: HookReply | null }

/** Plain data made of what a hook gave back. */
export interface HookReply {
  readonly set?: FlatFields
  readonly append?: FlatFields
  readonly remove?: readonly string[]
  readonly url?: string
  readonly status?: number
  readonly respond?: { readonly status: number; readonly fields: FlatFields; readonly body: Uint8Array }
}
