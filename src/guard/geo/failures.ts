// What can go wrong with the operator's files of countries and networks.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const geoFailures: Catalogue<'fileUnusable'> = defineFailures('geo', {
  fileUnusable: {
    when: 'A file named in guard.geo can not be read, or is no MaxMind DB.',
    advice:
      'Give the path of an .mmdb file that the user Tenfold runs as may read: one with countries as countryFile, one with autonomous systems as asnFile.',
  },
})
