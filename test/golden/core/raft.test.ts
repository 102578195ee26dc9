import { goldenFiles, runGolden } from './golden.ts';
import { RaftNetwork } from './raft-network.ts';

/**
 * `cluster <id>...` makes and starts voters, `elect <id>` lets time pass and one of them win. `beat <id> <seconds>` lets a leader go on. A command names the voter that it is for. `new <id> voters= [term= voted= snapshot=index:term log=index:term:command,...]`,
 * `start|tick|suspected|propose|voters|persisted|compacted|fetched|not-fetched <id> ...` step it; `at <ms>` and `wait <ms>` set the clock;
 * `letters`, `deliver`, `lose` [pair or type]... are about what was sent; `settle [all]` lets disks write and letters arrive;
 * `cut <from>to>`..., `mend`; `show`, `progress`, `due`, `lease`.
 */
describe('golden: raft', () => {
  for (const file of goldenFiles('raft')) {
    it(file, () => {
      const network = new RaftNetwork();
      runGolden(file, (command, words, options) => network.execute(command, words, options));
    });
  }
});
