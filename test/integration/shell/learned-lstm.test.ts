import { outliveTheirLeader } from './outlive-leader.ts';

// With TensorFlow.js.
outliveTheirLeader('lstm');
