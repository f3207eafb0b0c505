// Two kinds of errors, never mixed. Faults are our bugs: `assert`. Failures are the world's: a coded `Failure` from a
// component's catalogue, with what an operator should do. A component's catalogue lives in its `failures.ts`.

export interface FailureKind {
  /** Stable, e.g. `FLEET_COMMAND_MISSING`: the component's folder in capitals, then the failure. */
  readonly code: string
  /** One sentence for the reference page: when this happens. */
  readonly when: string
  /** What the reader should do. */
  readonly advice: string
  /** HTTP status where the failure reaches an HTTP client. */
  readonly status: number
  /** May the same call be tried again as it is? */
  readonly retry: boolean
}

/** A failure of the world, told to a person: what, where, what is allowed, what to do. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly kind: FailureKind
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    kind: FailureKind,
    sentence: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(sentence, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.details = options.details ?? {}
  }

  get code(): string {
    return this.kind.code
  }
}

export type Catalogue<Names extends string> = { readonly [N in Names]: FailureKind }

/**
 * Declares a component's failures: `defineFailures('fleet', { commandMissing: { when, advice } })` gives
 * `fleetFailures.commandMissing.code === 'FLEET_COMMAND_MISSING'`. `status` defaults to 500, `retry` to false.
 */
export function defineFailures<Names extends string>(
  component: string,
  kinds: Record<Names, { when: string; advice: string; status?: number; retry?: boolean }>,
): Catalogue<Names> {
  const out = {} as Record<Names, FailureKind>
  for (const name of Object.keys(kinds) as Names[]) {
    const kind = kinds[name]
    const snake = name.replace(/[A-Z]/g, letter => `_${letter}`)
    const code = `${component}_${snake}`.toUpperCase()
    out[name] = {
      code,
      when: kind.when,
      advice: kind.advice,
      status: kind.status ?? 500,
      retry: kind.retry ?? false,
    }
  }
  return out
}

/** A fault is a bug of ours: it is never caught to go on. */
export class Fault extends Error {
  override readonly name = 'Fault'
}

export function assert(condition: unknown, reason: string): asserts condition {
  if (!condition) throw new Fault(reason)
}
