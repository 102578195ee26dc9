import { blobSuite } from './blob-suite.ts';
import { MemoryNetwork } from './memory-network.ts';

blobSuite('a network in memory', async () => {
  const network = new MemoryNetwork();
  return { connect: async () => network.connect(), close: async () => undefined };
});
