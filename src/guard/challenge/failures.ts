// What can go wrong with challenges, for operators, and what clients are told.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'
import type { PassageRefusal } from '../passage.ts'

export const challengeFailures: Catalogue<'testKeys' | 'widgetMissing' | 'keysMissing'> = defineFailures(
  'challenge',
  {
    testKeys: {
      when: 'Turnstile is set up with one of its public test keys, which let everybody or nobody pass, in production.',
      advice:
        'Give the keys of your own site in guard.challenge.turnstile, or set allowTestKeys where this is a test.',
    },
    keysMissing: {
      when: 'Turnstile is the provider of challenges, and no keys for it are given.',
      advice:
        'Give siteKey, secret and hostnames in guard.challenge.turnstile, or choose the provider `pow`.',
    },
    widgetMissing: {
      when: 'The npm package of the proof-of-work widget is not installed, or not whole.',
      advice: 'Install Tenfold again with its dependencies: `npm install`.',
    },
  },
)

const refusal = (status: number, code: string, text: string): PassageRefusal => ({ status, code, text })

/** To clients. */
export const challengeRefusals: Readonly<
  Record<'required' | 'failed' | 'old' | 'busy' | 'malformed' | 'unknown' | 'notAllowed', PassageRefusal>
> = {
  required: refusal(403, 'CHALLENGE_REQUIRED', 'Show first that you are not a program.'),
  failed: refusal(403, 'CHALLENGE_FAILED', 'The challenge was not passed.'),
  old: refusal(403, 'CHALLENGE_OLD', 'This challenge is too old, or another client’s.'),
  busy: refusal(429, 'CHALLENGE_BUSY', 'Too many challenges are asked for from here.'),
  malformed: refusal(400, 'CHALLENGE_MALFORMED', 'This is not what a challenge is answered with.'),
  unknown: refusal(404, 'CHALLENGE_UNKNOWN', 'There is nothing at this address.'),
  notAllowed: refusal(401, 'CHALLENGE_NOT_ALLOWED', 'Only services of this system may ask this.'),
}
