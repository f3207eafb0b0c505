// Failures of sharded databases that operators see; what clients are told carries an SQLSTATE of its own.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

type Names = 'schemaForeign' | 'schemaNewer'

export const shardFailures: Catalogue<Names> = defineFailures<Names>('shards', {
  schemaForeign: {
    when: 'The schema `tenfold` that a shard needs can not be made on its servers: somebody else owns one of that name, or they are the servers of another shard.',
    advice:
      'Rename the schema that is in the way, or correct which servers the shard has; the sentence says which.',
  },
  schemaNewer: {
    when: 'The schema `tenfold` on a shard was installed by a newer Tenfold.',
    advice: 'Run that version, or a newer one.',
  },
})
