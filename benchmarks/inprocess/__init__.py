"""The same trivial steps on Drawbar's local engine and on the in-process systems a user would pick."""
