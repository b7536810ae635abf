"""The Ray shells and nothing else: player, board, evaluator, executor, placement. The only users of
`ray.*` but service.
"""
