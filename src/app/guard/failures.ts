// What can go wrong with human checks in a service, beside the answer that somebody is none.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const humanFailures: Catalogue<'keyMissing' | 'optionWrong'> = defineFailures('human', {
  keyMissing: {
    when: 'A service checks for humans, and has no key to believe the edge by.',
    advice:
      'Run it as a service of a system whose file has a guard: it then gets TENFOLD_GUARD_KEY and TENFOLD_GUARD_URL. A service that runs elsewhere is given both by you.',
  },
  optionWrong: {
    when: 'An option of a human check has a value that is not allowed.',
    advice: 'The message says which and what is allowed.',
  },
})
