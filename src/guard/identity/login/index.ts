// The guard's part that logs people in at OpenID providers: its pages, and the sessions that the step of identities asks
// for. See README.md.

import { AddressBudget } from '../../address-budget.ts'
import { SpentTable, spentTableBytes } from '../../challenge/spent-table.ts'
import { addEdits } from '../../edits.ts'
import type {
  GuardPart,
  GuardSpec,
  GuardStep,
  GuardSurroundings,
  MainGuardPart,
  MainPartSurroundings,
} from '../../part.ts'
import { verdict } from '../../passage.ts'
import type { IdentityVerifier } from '../contract.ts'
import { withoutCookies } from '../instance-field.ts'
import { verifiersOf } from '../verifiers.ts'
import { loginWords, say } from './answers.ts'
import { Login } from './login.ts'
import type { LoginSpec } from './login-spec.ts'

const endedMemory = 'login:ended'
/** Pages of one address within 10 s: a house full of people that all log in at once. */
const pagesPerAddress = 100

export interface Logins extends GuardPart {
  /** Null: the file has no login of this name. */
  verifier(name: string): IdentityVerifier | null
}

const byWorker = new WeakMap<GuardSurroundings, Logins>()

/** The one of this worker: its part and the step of identities share it. */
export function loginsOf(surroundings: GuardSurroundings): Logins {
  const found = byWorker.get(surroundings) ?? createLogins(surroundings)
  byWorker.set(surroundings, found)
  return found
}

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return loginsOf(surroundings)
}

/** Where the step of identities has not done it already: sessions and logins under way never reach a service. */
const cookieStep: GuardStep = {
  name: 'login',
  enter: passage => {
    if (passage.requestEdits?.drop.includes('cookie') === true) return verdict.pass
    const { drop, add } = withoutCookies(passage, new Set())
    if (drop.length > 0) addEdits(passage, drop, add)
    return verdict.pass
  },
}

function createLogins(surroundings: GuardSurroundings): Logins {
  const { clock, memory, index } = surroundings
  const budget = new AddressBudget(pagesPerAddress)
  let logins = new Map<string, { readonly login: Login; readonly made: string }>()
  return {
    name: 'login',
    prepare: async spec => {
      const ended = new SpentTable(memory[endedMemory] as SharedArrayBuffer, index + 1)
      const tell = (text: string): void => surroundings.tell('guard', text)
      logins = new Map(
        loginSpecs(spec).map(([name, one]) => {
          // What a provider has said is kept over reloads that change nothing of it.
          const made = JSON.stringify([one, spec.secretKey])
          const before = logins.get(name)
          const login =
            before?.made === made
              ? before.login
              : new Login(name, one, spec.secretKey, { clock, ended, tell })
          return [name, { login, made }]
        }),
      )
      const known = verifiersOf(surroundings)
      for (const way of known.keys()) if (way.startsWith('oidc:')) known.delete(way)
      for (const [name, { login }] of logins) known.set(`oidc:${name}`, login)
    },
    step: () => cookieStep,
    verifier: name => logins.get(name)?.login ?? null,
    page: (passage, name, rest, visit) => {
      if (name !== 'login') return false
      const [which = '', ...more] = rest.split('/')
      const found = logins.get(which)
      if (!budget.take(visit.addressKey, Math.floor(clock.wall() / 1_000)))
        say(passage, loginWords.busy, visit.nonce)
      else if (found === undefined) say(passage, loginWords.unknown, visit.nonce)
      else found.login.page(passage, more.join('/'), visit)
      return true
    },
  }
}

function loginSpecs(spec: GuardSpec): [string, LoginSpec][] {
  // As the system compiles it, secrets are texts.
  return Object.entries((spec.identity.oidc ?? {}) as unknown as Readonly<Record<string, LoginSpec>>)
}

export function createMainPart(_surroundings: MainPartSurroundings): MainGuardPart {
  const memory = { [endedMemory]: new SharedArrayBuffer(spentTableBytes) }
  return {
    name: 'login',
    memory: () => memory,
    workerDied: worker => new SpentTable(memory[endedMemory] as SharedArrayBuffer, 0).release(worker + 1),
  }
}
