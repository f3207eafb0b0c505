// What can go wrong in the command line itself; everything else comes from the parts that it asks.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

export const cliFailures: Catalogue<'numberInvalid' | 'fileExists' | 'folderMissing' | 'stopTimedOut'> =
  defineFailures('cli', {
    numberInvalid: {
      when: 'An argument or option that must be a whole number is none.',
      advice: 'Write digits only.',
      status: 400,
    },
    fileExists: {
      when: '`tenfold init` finds a system file where it would write one.',
      advice: 'Edit that file, or remove it first.',
      status: 422,
    },
    folderMissing: {
      when: '`tenfold init` is told a folder that does not exist or cannot be written.',
      advice: 'Create the folder, or name another one.',
      status: 422,
    },
    stopTimedOut: {
      when: '`tenfold stop` has waited and the system has still not ended.',
      advice: 'Look at `tenfold status`, or end it at once with `tenfold stop --now`.',
    },
  })
