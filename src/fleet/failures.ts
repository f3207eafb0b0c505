// What can go wrong with services, for people: one entry a failure, with its advice.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

type Names =
  | 'commandMissing'
  | 'userUnknown'
  | 'userNotAllowed'
  | 'notReadyInTime'
  | 'exited'
  | 'exitsTooOften'
  | 'portTaken'
  | 'nameUnresolved'
  | 'serviceUnknown'
  | 'memberUnknown'
  | 'memberAmbiguous'
  | 'countOutOfBounds'
  | 'notOurProcesses'
  | 'stopping'

export const fleetFailures: Catalogue<Names> = defineFailures<Names>('fleet', {
  commandMissing: {
    when: 'The command of a service does not exist, is not executable, or its directory is missing.',
    advice:
      "Correct the service's `command` or `directory` in the system file; a list names the program first, a string is run by /bin/sh.",
  },
  userUnknown: {
    when: 'A service is to run as a user that this machine does not know.',
    advice: "Create the user, or change the service's `user`.",
  },
  userNotAllowed: {
    when: 'A service is to run as another user, but the supervisor is not root.',
    advice: "Start the system as root, or remove the service's `user`.",
  },
  notReadyInTime: {
    when: 'An instance was started and did not answer its readiness probe in time.',
    advice:
      'See that the program listens on the port in its PORT variable and answers the path in `health.path`; give it longer with `ready` if it starts slowly.',
  },
  exited: {
    when: 'An instance ended although nobody had asked it to.',
    advice: 'Look at its last output: `tenfold logs SERVICE`.',
  },
  exitsTooOften: {
    when: 'An instance ended more often than `restart` allows; it is not started again by itself.',
    advice:
      'Look at its last output (`tenfold logs SERVICE`), correct the cause, then `tenfold restart SERVICE` or change the file.',
  },
  portTaken: {
    when: 'Other processes took the port of an instance between its choice and its use, several times in a row.',
    advice:
      'See what else takes ports on this machine. The command must listen itself: a process outside of its own group (a container started by it, for example) counts as another one.',
  },
  nameUnresolved: {
    when: 'The addresses of a service could not be found out by name.',
    advice: 'Check the name and the name servers. The last good answer stays in use meanwhile.',
  },
  serviceUnknown: {
    when: 'A command names a service that is not in the system.',
    advice: 'Use one of the names that `tenfold status` lists.',
    status: 404,
  },
  memberUnknown: {
    when: 'A command names a member that no service has.',
    advice: 'Use one of the names that `tenfold status` lists.',
    status: 404,
  },
  memberAmbiguous: {
    when: 'A command names a member that several services have.',
    advice: 'Put the service before it: `SERVICE/MEMBER`.',
    status: 409,
  },
  countOutOfBounds: {
    when: 'A service is to be scaled beyond its `instances.min` or `instances.max`.',
    advice: 'Choose a count between them, or change them in the system file and reload.',
    status: 422,
  },
  notOurProcesses: {
    when: 'A service of `addresses` is to be scaled or restarted.',
    advice: 'Its processes run elsewhere: do it there.',
    status: 409,
  },
  stopping: {
    when: 'A command arrives while the fleet is being stopped.',
    advice: 'Start the system again first.',
    status: 503,
  },
})
