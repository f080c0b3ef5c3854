{{ aws_focus(ref('stg_aws_cur__lines')) }}
