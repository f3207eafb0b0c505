// What no challenge may begin with: it would let everybody pass, or nobody.

import { Failure } from '../../kit/failure.ts'
import type { GuardSpec } from '../part.ts'
import { challengeFailures } from './failures.ts'
import { usesTestKeys } from './turnstile.ts'

/** @throws Failure */
export function checkSpec({ challenge, production }: GuardSpec): void {
  const { provider, turnstile } = challenge
  if (provider === 'turnstile' && (turnstile === undefined || turnstile.hostnames.length === 0))
    throw new Failure(
      challengeFailures.keysMissing,
      'guard.challenge.provider is `turnstile`, but guard.challenge.turnstile names no keys or no hostnames.',
    )
  if (turnstile !== undefined && production && !turnstile.allowTestKeys && usesTestKeys(turnstile))
    throw new Failure(
      challengeFailures.testKeys,
      'guard.challenge.turnstile has one of the public test keys, with which anybody passes or nobody does, and this is production.',
    )
}
