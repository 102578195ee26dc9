import { outliveTheirLeader } from './outlive-leader.ts';

// Without what TensorFlow.js needs, as on most devices.
outliveTheirLeader('ridge');
